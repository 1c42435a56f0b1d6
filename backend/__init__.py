"""The built-in backend that has the heartbeat: data tables, mail and the events they report."""
