"""Packed attention: each response of a row attends to its own prefix and to itself, never to a sibling.

A row is ``[prefix A][response A1][response A2]...[prefix B][response B1]...``. The windows of vision towers are computed here too.

door.py             what transformers' layers call
choose.py           which backend computes, and why
base.py             what a backend offers
sdpa.py             torch's scaled dot product, segment by segment: everywhere, and the reference
variable_length.py  what kernels over sequences of any lengths share: keys gathered, one call for a row
varlen.py           torch's own such kernel (CUDA)
flash_attn.py       that of the library flash-attn (CUDA)
"""
