"""The checks: one module for each statement, named after it (`r2_2_3a` holds R2.2.3a).

Each module says what it looks at and how, and ends in its declaration `CHECK`. A
check only joins measurements to judgements; it must never measure or judge itself.
"""
