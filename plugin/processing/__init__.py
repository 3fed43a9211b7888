"""What SameScene adds to the Processing toolbox; every computation is one of these algorithms."""
