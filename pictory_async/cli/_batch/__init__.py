"""``pictory batch``: an image of each prompt in a file."""
