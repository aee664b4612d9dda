"""Processes of programs on this machine: started once, found again after a crash, ended whole."""
