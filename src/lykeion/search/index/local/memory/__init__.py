"""A local index while it is open: layers of rows, how writes change them, and what a search sees of them."""
