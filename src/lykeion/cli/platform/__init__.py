"""Commands for resources and the platform that runs them; each is at the top level of ``lykeion``."""
