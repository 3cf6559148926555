"""Small trained models, one folder each; `zoo.deploy.presets` reads them."""
