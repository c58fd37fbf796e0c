"""What random products are named after."""

ADJECTIVES = ["Quiet", "Bright", "Coastal", "Rustic", "Nordic", "Everyday", "Heritage", "Compact", "Folding",
              "Weekend", "Alpine", "Golden", "Simple", "Sturdy", "Soft", "Morning"]
MATERIALS = ["Linen", "Oak", "Steel", "Wool", "Cotton", "Leather", "Bamboo", "Stoneware", "Copper", "Glass",
             "Cork", "Canvas", "Walnut", "Enamel", "Felt", "Brass"]
NOUNS = ["Shirt", "Apron", "Teapot", "Mug", "Lamp", "Chair", "Blanket", "Backpack", "Kettle", "Bowl", "Scarf",
         "Towel", "Notebook", "Candle", "Basket", "Cushion", "Tray", "Clock", "Vase", "Planter"]
CATEGORIES = ["Kitchen", "Clothing", "Home", "Garden", "Travel", "Office"]
COLOURS = ["Red", "Blue", "Green", "Black", "White", "Grey"]
SIZES = ["S", "M", "L", "XL"]
VENDORS = ["Harbour & Sons", "Nordlys", "Atelier Marin", "Fernwood", "Bright Works"]
