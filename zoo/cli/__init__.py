"""The command line: `commands` are its verbs, `recipes` the catalogue they work on."""
