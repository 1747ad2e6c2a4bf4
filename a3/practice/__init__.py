"""Practice: the handouts' programming questions as blanks to fill in, and checks of the answers."""
