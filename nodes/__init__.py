"""The node library: one file is one node, its documentation and its test. ``nodes/spec.py`` is the contract."""
