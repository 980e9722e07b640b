"""Tables: text cells and numbers for readers, the same numbers for machines; a module for each kind."""
