"""The steps by which tools/build_default_model.py makes the built-in face model."""
