"""Chain Rule: what the chapters teach, importable.

Each chapter's module is exported from its notebook; what stands behind
the page, ``checks``, ``gradcheck``, ``claims``, ``exercises``,
``datasets`` and ``figures``, is written by hand.
"""
