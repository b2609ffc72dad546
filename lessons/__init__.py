"""Chain Rule: what the chapters teach, importable.

Each chapter's module is exported from its notebook; ``datasets`` and
``figures`` are written by hand.
"""
