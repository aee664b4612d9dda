"""The Python of an image: the base's interpreter, locked requirements, their wheels, the environment they go to."""
