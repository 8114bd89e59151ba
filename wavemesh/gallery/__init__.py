"""The bundled examples: how their folders are laid out (`format`), read (`read`) and written (`write`)."""
