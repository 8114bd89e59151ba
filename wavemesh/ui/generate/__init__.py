"""The tab Generate: pictures become a mesh."""
