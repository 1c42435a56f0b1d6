"""Tables, connections and migrations: rows in, rows out."""
