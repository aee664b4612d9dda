"""Commands for resources and the platform that carries them out; each is at the top level of ``lykeion``."""
