"""What the verbs print, as rich renderables and plain data. Nothing is computed here but what is shown."""
