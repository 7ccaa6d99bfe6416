import { render } from 'preact';
import { App } from './app.jsx';
import { chooseLanguage, currentLanguage } from './text.js';

chooseLanguage(currentLanguage());
const place = document.getElementById('app');
if (place !== null) {
  place.replaceChildren();
  render(<App />, place);
}
