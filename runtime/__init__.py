"""Flow document, graph, expressions, engine and the service behind all three doors."""
