"""What surrounds a training and knows no model: runs, guards, pictures, reports."""
