"""Running a device's models: photos and frames to vectors, labels and boxes; and trying a new version first."""
