"""What several tests share: builders of events, and a simulation of the services in one process. No assertions here."""
