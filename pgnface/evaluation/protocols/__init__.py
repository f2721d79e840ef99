"""Published evaluation protocols, one module each: the formula, its source, functions of arrays,
and a reader of the benchmark's folder.
"""
