"""For every test of the repository."""

from hypothesis import settings

settings.register_profile("unhurried", settings(), deadline=None)  # a busy machine is no fault; pytest-timeout bounds
settings.load_profile("unhurried")
