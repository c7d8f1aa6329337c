"""Azure Resource Manager: what a workload runs, and which workloads there are."""
