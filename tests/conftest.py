"""Settings of the whole test run.

Owns Hypothesis' profile: no deadline per example, because a loaded machine would
turn it into a test of the machine.
"""

from hypothesis import settings

settings.register_profile("limpet", deadline=None, max_examples=60)
settings.load_profile("limpet")
