"""Packed attention: each response of a row attends to its own prefix and to itself, never to a sibling.

A row is ``[prefix A][response A1][response A2]...[prefix B][response B1]...``.

door.py     what transformers' decoder layers call
sdpa.py     torch's scaled dot product, segment by segment: everywhere, and the reference
"""
