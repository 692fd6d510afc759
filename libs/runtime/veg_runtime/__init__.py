"""What every service starts with: settings, logging, the bus, health, shutdown.

No decision lives here, and nothing that only one service needs.
"""
