"""Any command, recorded: executed with what it writes and the events it sends, and executed again.

Where it is recorded is told in `recorder.store`; how it is shown in `cli`.
"""
