"""What an optimizer does to a gradient: rules, the families made of them, wrappers."""
