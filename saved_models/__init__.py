"""Small trained models, one folder each; `zoo.presets` reads them."""
