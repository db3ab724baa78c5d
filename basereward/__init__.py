"""basereward: train, judge and serve scalar reward models for image + text preferences."""

__version__ = "0.1.0"
