"""The regressor, its optimizer and the settings of Keras."""
