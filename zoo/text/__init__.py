"""Text as numbers and back: Unicode, vocabularies, searches for sentences."""
