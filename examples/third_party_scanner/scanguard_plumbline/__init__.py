"""Example of a scanner plugin: Plumbline, an imaginary service that is asked by submit and poll."""
