"""The whole life of a product on one machine, told as a story of scenes.

Plays every part with the real commands, processes, keys and files. Decides
nothing and simulates nothing: a scene does something, looks at what came of it,
and fails if that is not what should have come.
"""
