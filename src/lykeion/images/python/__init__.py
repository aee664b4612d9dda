"""The Python of an image: the base's interpreter, locked requirements, their wheels, and the virtual environment."""
