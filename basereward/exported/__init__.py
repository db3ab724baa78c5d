"""What an exported folder holds beside weights: the model class, the source of one file, the model card."""
