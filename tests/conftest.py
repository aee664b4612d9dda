"""No test fails for being slow on a busy machine."""

from hypothesis import settings

settings.register_profile("lykeion", deadline=None)
settings.load_profile("lykeion")
