"""What is looked at in a trained network: its loss around it, bounds on its outputs, the way an attack takes."""
