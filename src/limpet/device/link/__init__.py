"""What the roles of one device say to each other, and who may say what.

Owns the messages, the table of permitted requests, the channel they travel on
and the way a role is started. Knows no role's inside, and no network.
"""
