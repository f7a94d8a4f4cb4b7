"""What the account has made: `history` lists the images, `download` saves them."""
