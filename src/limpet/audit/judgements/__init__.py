"""The judgements: measured data in, a finding out, and nothing else.

Owns the bounds that separate a pass from a fail. Pure: no socket, file, clock or
process, so that every judgement is tested with good and bad specimens.
"""
