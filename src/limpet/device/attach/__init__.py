"""The way into a device for a role that a service manager started.

Owns the few lines between `limpet-<role>.service` and the role's own program: it asks the
supervisor for its links, and becomes the role. Holds nothing and decides nothing.
"""
