"""Who can be reached, how, and who is on duty: records, rota arithmetic, ranking with reasons, the read model."""
