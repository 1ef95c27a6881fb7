"""Who proposes policies: the protocol, and the proposers that come with exprec.

Nothing here decides whether a proposal is taken.
"""
