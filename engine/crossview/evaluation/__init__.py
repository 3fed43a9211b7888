"""How well panoramas are found among overhead images, on pairs whose truth is known."""
